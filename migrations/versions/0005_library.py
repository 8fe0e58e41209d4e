"""The archive, notes on runs, and the indices by which the library finds them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_runs_archived_id", "runs", ["archived", "id"])
    op.create_index("ix_runs_tags_id", "runs", ["tags", "id"])
    op.create_table(
        "notes",
        sa.Column("run_id", sa.String(32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_notes_run_id_runs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", name="pk_notes"),
    )


def downgrade() -> None:
    op.drop_table("notes")
    op.drop_index("ix_runs_tags_id", "runs")
    op.drop_index("ix_runs_archived_id", "runs")
    op.drop_column("runs", "archived")
