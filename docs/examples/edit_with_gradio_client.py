"""Edit an image on a running page: python edit_with_gradio_client.py IN.png OUT.png [ADDRESS]"""

import shutil
import sys

from gradio_client import Client, handle_file

image, output, *address = sys.argv[1:]
client = Client(address[0] if address else "http://127.0.0.1:7860", verbose=False)
edited = client.predict(
    image=handle_file(image),
    neutral_text="human face",
    target_text="human face with glasses",
    alpha=1.0,
    # more_edits=[{"target_text": "old human face", "alpha": 0.5}],  # applied together
    api_name="/edit",
)
shutil.copy(edited, output)
client.close()
