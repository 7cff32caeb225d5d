"""Compaction: of every key the newest record stays, and every offset stays what it was.

A cleaning builds a map of the keys in the dirty part of a log, the sealed segments written since
the last cleaning, then copies all segments up to its end, leaving out what the map has newer, and
puts the copies in the place of the originals. The active segment and whatever an open transaction
may still change are not touched.

The log's thread decides and renames; reading, filtering, writing and forcing to disk run on another
thread, over file handles of their own, so that a log that is deleted meanwhile takes nothing with
it that is not its own.
"""
