"""Building the models on Apache Spark, where FOOTFALL_ENGINE says so. Else nothing here is imported: it needs Spark."""
