"""Steps that bring a plan store to the current shape (alembic)."""
