"""Everything dies at once, again and again, and the dialer's own log says whether anybody noticed."""
