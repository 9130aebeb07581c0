"""Jobs over HTTP: started, one module for each family of kinds; served; and their results shown."""
