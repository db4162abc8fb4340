"""Routes of peers whose clients must keep working: one package per peer, each a router of thin translations."""

from fastapi import APIRouter, FastAPI

from studio.api.compat.skyreels import router as skyreels
from studio.service import Studio

PEERS: tuple[APIRouter, ...] = (skyreels,)


def add_peers(site: FastAPI, studio: Studio) -> None:
    """Their routes, at their own paths, over our service."""
    site.state.studio = studio
    for router in PEERS:
        site.include_router(router)
