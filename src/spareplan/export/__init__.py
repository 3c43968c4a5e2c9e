"""Plans out: versioned columns, regional cuts, writers, HTTP."""
