"""What is done for one job, stage by stage: prepare, cloud, encode, deliver."""
