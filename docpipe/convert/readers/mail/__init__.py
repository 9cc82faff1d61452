"""Mails, mailboxes, Outlook's messages and attachments."""
