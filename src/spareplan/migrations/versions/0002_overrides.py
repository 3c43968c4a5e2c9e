"""Planners' overrides, those taken back too."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "plan_overrides",
        sa.Column("override", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("in_table", sa.String(20), nullable=False),
        sa.Column("in_column", sa.String(40), nullable=False),
        sa.Column("part_id", sa.Text),
        sa.Column("site_id", sa.Text),
        sa.Column("region_id", sa.Text),
        sa.Column("month", sa.Date),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("decided_on", sa.Date, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("expires_on", sa.Date),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entered_by", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, sa.ForeignKey("plan_versions.version")),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        sa.Column("withdrawn_by", sa.Text),
        sa.Column("withdrawn_why", sa.Text),
    )
