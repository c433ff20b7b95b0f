"""vacuum what the queue leaves behind soon

Revision ID: 0025
Revises: 0024
Create Date: 2026-11-26 23:25:00.000000

"""
from alembic import op

# revision identifiers, used by Alembic.
revision = '0025'
down_revision = '0024'
branch_labels = None
depends_on = None

# Each push moves a row of sync_state twice, and leaves two dead entries in the index that claims
# read from its beginning. By default they are cleared once a fifth of the table is dead: ten
# million rows where there are fifty million. The other two are small and written all the time.
# SHARE UPDATE EXCLUSIVE: nobody's reads or writes wait for this.
SETTINGS = {
    'sync_state': {
        'autovacuum_vacuum_scale_factor': '0.01',
        'autovacuum_vacuum_threshold': '5000',
        'autovacuum_analyze_scale_factor': '0.05',
    },
    'push': {
        'autovacuum_vacuum_scale_factor': '0',
        'autovacuum_vacuum_threshold': '500',
    },
    'destination': {
        'autovacuum_vacuum_scale_factor': '0',
        'autovacuum_vacuum_threshold': '500',
    },
}


def upgrade():
    for table, settings in SETTINGS.items():
        given = ', '.join(f'{name} = {value}' for name, value in settings.items())
        op.execute(f'ALTER TABLE {table} SET ({given})')


def downgrade():
    for table, settings in SETTINGS.items():
        op.execute(f'ALTER TABLE {table} RESET ({", ".join(settings)})')
