"""Routes of peers whose clients must keep working: one package per peer, each a router of thin translations."""

from fastapi import APIRouter, FastAPI
from starlette.routing import Mount

from studio.api.compat.all_in_one import router as all_in_one
from studio.api.compat.skyreels import router as skyreels
from studio.service import Studio

PEERS: tuple[APIRouter, ...] = (skyreels, all_in_one)


def add_peers(site: FastAPI, studio: Studio) -> None:
    """Their routes, at their own paths, over our service."""
    site.state.studio = studio
    for router in PEERS:
        site.include_router(router)
    # some lie below a path where a whole app of ours or of Gradio's is mounted: what is mounted is asked last
    site.router.routes.sort(key=lambda route: isinstance(route, Mount))
