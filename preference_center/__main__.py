"""`python -m preference_center`: the program `preference-center`."""

from __future__ import annotations

from preference_center.preference_center_main import main

if __name__ == "__main__":
    main()
