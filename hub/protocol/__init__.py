"""How the nouns travel: shared by the API, the client, the engine and the workers, so that no two can disagree."""
