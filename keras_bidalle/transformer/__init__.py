"""What any generator is made of: blocks, masks, positions, caches."""
