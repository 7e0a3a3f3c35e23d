"""Raw data in their published layouts into data sets."""
