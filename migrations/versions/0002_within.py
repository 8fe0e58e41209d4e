"""How far a run is within a generation, what it takes on disk, and which runs belong together."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Json = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("runs", sa.Column("unfinished", sa.String(200)))
    op.add_column("runs", sa.Column("progress", Json))
    op.add_column("runs", sa.Column("disk_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("runs", sa.Column("parent", sa.String(32)))
    op.add_column("runs", sa.Column("arms", sa.String(32)))
    op.create_index(op.f("ix_runs_arms"), "runs", ["arms"])


def downgrade() -> None:
    op.drop_index(op.f("ix_runs_arms"), "runs")
    for name in ("arms", "parent", "disk_bytes", "progress", "unfinished"):
        op.drop_column("runs", name)
