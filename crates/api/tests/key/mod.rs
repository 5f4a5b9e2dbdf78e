mod list_public_keys;
