"""Tables in: the catalog, checks, reading, the network of sites, sample data."""
