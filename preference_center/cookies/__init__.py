"""The consent tool: choices about cookies per browser, and Global Privacy Control."""
