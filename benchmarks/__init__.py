"""Speed, memory and exactness beside raw torch and MONAI, measured in the same run."""
