"""The suite; `tests/conftest.py` says where its databases come from."""
