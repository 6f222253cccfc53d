import aiohttp


async def fetch(path):
    async with aiohttp.ClientSession() as session:
        async with session.get("https://api.example.org/" + path) as response:
            return await response.text()
