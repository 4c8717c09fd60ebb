"""The HTTP API that analysts' programs and the page read: `conflictwire serve`. See docs/api.md.

One process. It reads the store and writes nothing but when a key was last used. What filters test is kept in memory as
columns (`columns`), so that any combination of them is answered in milliseconds; the records themselves are read from the
store when they are sent. One thread (`desk`) fills the columns and follows the store by the known time.
"""
