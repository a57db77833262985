"""Operations worth a fast version, each beside an obvious reference with the same signature."""
