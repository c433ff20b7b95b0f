"""Mandrill (Mailchimp Transactional)."""
