"""Pool: from the ids of each text's tokens to its vector."""
