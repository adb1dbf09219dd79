"""What holds for every test: speed is measured by `bench`, never by a deadline on a property's examples."""

from hypothesis import settings

settings.register_profile("house", deadline=None, print_blob=True)
if settings.get_current_profile_name() == "default":
    settings.load_profile("house")
