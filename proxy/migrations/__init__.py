"""How the tables of `audit_database` came to be, version by version; run by Alembic."""
