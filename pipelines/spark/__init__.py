"""Building the models on Apache Spark, where FOOTFALL_ENGINE says so. Nothing outside needs Spark: it is imported late."""
