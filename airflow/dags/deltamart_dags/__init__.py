"""What the DAGs share: places, assets, and the folder into which catalogs are dropped."""
