"""The dashboard: server-rendered pages over the services that the REST API uses; no build step, no foreign script.

Laws: every page works without JavaScript; nothing inline (the content security policy forbids it); what people wrote
(cards, messages, names) is escaped or sanitised; a page that fails is still a page.
"""
