"""Model packages of BioImage.IO (https://bioimage.io): read, checked, mapped to cards, written."""
