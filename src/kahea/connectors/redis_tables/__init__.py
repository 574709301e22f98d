"""Tables in Redis, in the layout of Kamailio's db_redis: a dialect of SQLAlchemy's, so that no module need know.

A row is a hash, `table:entry::value:value`, its name made of the columns that the parameter `keys` says. A map is a
set of such names, `table:map::value`, so that rows are found by other columns; `table::index::map` is the set of a
map's sets. Types of columns and versions of tables are in files, one per table.
"""
