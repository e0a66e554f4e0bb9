"""The Firestore backend of buddy-memory. Import its classes from ``buddy.memory.v2.db.firestore``,
or open it as ``firestore://PROJECT/DATABASE``."""
