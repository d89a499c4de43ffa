"""Writes the migration that makes the first schema, from the tables as they are defined now.

Run it (``python tests/make_migration.py``) when the schema changes before its first release. A released migration is
never written again: later changes are migrations of their own, written by hand.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from tacit.stores import schema

TARGET = Path(schema.__file__).parent / "migrations" / "versions" / "revision_0001_foundation.py"
HEAD = '''"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
'''


def main() -> None:
    with create_engine("sqlite://").connect() as connection:
        schema.revision.create(connection)
        context = MigrationContext.configure(connection, opts={"target_metadata": schema.metadata})
        code = render_python_code(produce_migrations(context, schema.metadata).upgrade_ops)
    code = code.replace("sa.Text().with_variant(sa.Text(collation='C'), 'postgresql')", "TEXT")
    code = re.sub(r"^ *(info=.*|#.*)\n", "", code, flags=re.MULTILINE)
    tables = re.split(r"^ *(?=op\.create_table\('(\w+)')", code, flags=re.MULTILINE)[1:]
    named = dict(zip(tables[::2], tables[1::2], strict=True))  # a function for each, so that none is long
    upgrade = "def upgrade() -> None:\n" + "".join(f"    _{name}()\n" for name in named)
    functions = [upgrade, *(f"def _{name}() -> None:\n    {body}" for name, body in named.items())]
    TARGET.write_text(HEAD + "\n\n".join(["", *functions]), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(TARGET)], check=True)


if __name__ == "__main__":
    main()
