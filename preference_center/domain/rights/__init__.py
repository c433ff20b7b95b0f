"""Rules of data-subject requests: what may be asked, by whom, by when it is answered."""
