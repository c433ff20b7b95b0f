"""Postal."""
