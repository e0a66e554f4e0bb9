"""Replicated and distributed engines, with a node killed while two writers and a reader work.

``./run engines [NAME…]`` starts each engine, runs the conformance kit on it, kills a node under
load, and compares what is stored with what was acknowledged.
"""
