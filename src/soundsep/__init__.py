"""soundsep: find out what is to be heard in a recording."""
