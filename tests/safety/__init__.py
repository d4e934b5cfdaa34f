"""Safety: rules of safe contact, screening, the crisis roster."""
