// Calls between our transports and those of others.
