"""
Getting started
===============

x
"""

print(1)
