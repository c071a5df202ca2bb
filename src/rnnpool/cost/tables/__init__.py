"""The paper's tables of costs, computed anew beside what it prints."""
