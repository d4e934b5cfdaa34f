"""Other resources kept as received: bodies, versions, owner, disclosure category."""
