"""A program under watch, from birth to death: `watch.Watch` starts it, `story.Story` is what happened."""
