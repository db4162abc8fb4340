"""SkyReels-V3 and InfiniteTalk: the networks, loops and engines that no library has."""
