"""New label maps from given ones: bent, or with their objects moved, turned and resized.

Works on planes (y, x) in memory; knows neither models nor files.
"""
