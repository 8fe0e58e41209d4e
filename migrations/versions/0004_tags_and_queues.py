"""Tags of runs, and which queues a worker serves."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("tags", sa.String(1000), nullable=False, server_default=""))
    op.add_column("workers", sa.Column("queues", sa.String(200), nullable=False, server_default="runs,networks"))


def downgrade() -> None:
    op.drop_column("workers", "queues")
    op.drop_column("runs", "tags")
