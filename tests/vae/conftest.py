from __future__ import annotations

from quickexport import keep_table

keep_table()
