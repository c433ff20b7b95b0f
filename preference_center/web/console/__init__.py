"""The frame of `/console`: staff accounts, sign-in, roles, navigation.

It adds no rule: everything goes through the functions that the API and the commands use. Each
area is a module or package with `ROUTES`; a page is opened by those whose roles allow it.
"""
