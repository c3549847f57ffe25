"""The small model that is trained here: what is cached, what learns, and the recipe of it all."""
